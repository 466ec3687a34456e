"""The one vocabulary of names: what words of files, series and nodes mean for a sequence.

Words are lower case and without accents. English, German, French, Spanish, Portuguese, Italian and
Dutch words stand beside each other, as scanners are shared and their names travel.
"""


def _bag(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Gradient echoes that are T1-weighted by nature, and run before as well as after contrast medium.
T1_BY_METHOD = _bag(
    "mprage mp2rage memprage isomprage spgr fspgr irspgr irfspgr bravo tfl vibe starvibe lava "
    "thrive tfe efgre3d mpnrage"
)
INVERSION = _bag("tirm dark fluid spcir dafl")  # FLAIR beside 'T2'
CONTRAST = _bag(
    "contrast contraste postcon contrasto contrastado contrastada contrastata kontrast "
    "kontrastmittel kontrastmittelgabe kontrastem kontrastu kontrastie kontrasta postcontrast "
    "postcontraste poscontraste postkontrast postgd postgad postgado postkm poskm nachkm postmdc "
    "postinj postgbca wgd gd gad gado gadolinio gadolinium gadolino gadovist gadavist gadobutrol "
    "gadoterate gadoterat gadobenate gadopentetate gadodiamide gadoteridol gadopiclenol "
    "gadoxetate dotarem clariscan magnevist multihance omniscan prohance vueway elucirem artirem "
    "cyclolux primovist eovist ablavar optimark gbca gbcm dtpa gdtpa gddtpa gddota km kmgabe ce "
    "cm mdc civ enhanced enhance enhancement enh post inj injected injecte injectee injection "
    "inyectado iniettato pdc 造影 造影後 増強 增强 强化 контраст контрастом контраста "
    "контрастирования"
)
NATIVE = _bag(
    "pre precontrast precontraste prekontrast pregd pregad pregado prekm vorkm noncontrast "
    "noncontrasted nocontrast nongad nongd noncon precon nativ native nativa nativo natif "
    "unenhanced nonenhanced vor basale blanco unverstarkt plain none nogad nogd nokm wogd simple "
    "ohnekm withoutcontrast nonce 平扫 単純"
)
NOT = _bag(
    "non no not without wo pre vor before sans avant ohne senza prima sin sem antes zonder voor "
    "bez przed utan uten uden без"
)
WITH = _bag("w with mit avec con com met z med с")
AND = _bag("and und et e y en i och og")
# Behind a word for contrast medium they mean nothing; alone they leave open what followed.
AFTER = _bag(
    "min nach na po gabe von after apres dopo despues tras pos efter etter following de di of "
    "del della with mit avec con com met medio mezzo mezo produit produto produkt administration "
    "administracion somministrazione application applikation apport agent medium dose single "
    "double half minutes delayed late delay"
)
TREATMENT = _bag(
    "op operative operation operativ operatif operatoire operatorio operatoria operated surgery "
    "surgical chirurgie chirurgical cirugia cirurgia chirurgia intervento intervention resection "
    "resektion reseccion resezione exerese gtr str craniotomy kraniotomie biopsy biopsie biopsia "
    "treatment treated behandlung traitement tratamiento trattamento terapia therapy therapie "
    "radiotherapy radiotherapie radioterapia radiation radiatio radio irradiation bestrahlung rt "
    "rtx crt ccrt srs gammaknife chemo chemotherapy chemotherapie quimioterapia chemoradiation "
    "tmz temozolomide bev bevacizumab avastin tx tumorectomy lobectomy embolization processed "
    "processing proc processamento"
)
# One word for before or after treatment: says nothing of contrast medium.
TREATMENT_PHRASES = _bag(
    "postop preop intraop periop perop postoperative preoperative postoperativ praoperativ "
    "praeoperativ praop praeop intraoperative postoperatorio preoperatorio postoperatoire "
    "preoperatoire postsurgery presurgery postsurgical presurgical postrt prert postrtx postcrt "
    "posttreatment pretreatment posttx pretx posttherapy pretherapy postchemo prechemo "
    "postresection preresection postbiopsy prebiopsy postradiation preradiation postprocessed "
    "preprocessed preproc postproc preprocessing statuspost nachop vorop"
)
TIMES = _bag(
    "day days week weeks wk month months mo year years yr cycle cycles visit followup followups "
    "tag tage woche wochen monat monate jahr jahre jour jours semaine mois mes meses mese mesi "
    "dias giorni settimane weken maanden"
)
# 'FLAIR to T1': what follows is the image that another one was moved onto.
ONTO = _bag("to in on onto into auf vers sur sobre su naar 2")
REGISTERED = _bag(
    "reg registered registration coreg coregistered coregistration aligned align realigned rigid "
    "rigidly affine affinely warped resliced reslice resampled resample transformed matched "
    "linear nonlinear syn ants flirt fnirt elastix greedy deformed normalized normalised r2s "
    "mapped acpc"
)
ATLASES = _bag(
    "mni mni152 mni305 mni152nlin2009casym mnispace icbm icbm152 sri sri24 atlas template tal "
    "talairach standard std native nativespace common subject patient fsaverage same ref "
    "reference"
)
# Contrasts, maps, derived images and label maps: none of the four sequences.
OTHER = _bag(
    "dwi dw dti ep2d adc eadc trace tracew tensor colfa fa md rd ad fieldmap swi swip swan mip "
    "mips minip venbold pha phase ph imaginary imag real perf perfusion perfusie pwi dsc dce "
    "dynamic dyn asl pcasl pasl cbf cbv rcbv rcbf ncbv mtt ttp tmax ktrans kep vp tof mra mrv "
    "angio angiography angiografia angiographie loc localizer localiser localizador "
    "localizzatore lokalizer scout survey aahscout ct cta cbct pet fdg fet spect epi bold fmri "
    "mrs mrsi csi svs spectro spectroscopy press stir dir psir pd pdw t2star t2starw t2sw medic "
    "hemo haemo map maps mapit mapping t1map t2map relaxometry relax r1 r2 r2star qsm "
    "susceptibility t1rho rho inv1 inv2 ciss fiesta drive ssfp bssfp trufi dual noddi ihmt mtr "
    "mtc mtsat cest apt fgatir pc3d b0 calibration cal shim magnitude sbref report dose rtdose "
    "rtstruct rtss screenshot snapshot"
) | _bag(
    "sub minus subtraction subtracted subtract subtr substraction subtraktion soustraction "
    "sustraccion sottrazione diff difference delta ratio divided residual residuals change "
    "changes seg segm segs segment segments segmented segmentation segmentations segmentacion "
    "segmentazione segmentierung synthseg aseg aparc wmparc parc parcellation parcellated ribbon "
    "label labels labelmap labelmaps lbl mask masks maske masque mascara maschera msk brainmaske "
    "annotation annotations prob probs probability probabilities probmap posterior posteriors "
    "probseg dseg softmax sigmoid logits heatmap saliency gradcam attention confidence entropy "
    "uncertainty variance stdev sigma roi rois voi vois contour contours outline outlines "
    "overlay overlays fused fusion checkerboard truth gt groundtruth atlas template templates "
    "average averaged mean median tissue tissues pve pveseg mixeltype gm wm csf graymatter "
    "whitematter greymatter ventricles ventricle gtv ctv ptv biasfield field fields warp warps "
    "deformation displacement disp dispfield jacobian jac jacdet logjac xfm transform transforms "
    "trafo xform velocity zscoremap zmap zstat tmap tstat pmap pval stat stats pred preds "
    "predicted prediction predictions synthetic synthesized synthesised synth synthsr generated "
    "fake simulated inpainted inpainting inverse inversewarped noise snr gradient gradients edge "
    "edges edgemap laplacian hessian texture radiomics radiomic feature features histogram skull "
    "bone distance sdf weightmap coverage error errors lesion lesions tumor tumour tumors "
    "tumours edema oedema necrosis enhancing nonenhancing core"
)
# Those that before the sequence are rather parts of a patient's or a collection's name.
WEAK = _bag(
    "sub md fa rd ad dw loc cal gt epi dyn vp ph real press field fields core tumor tumour "
    "tumors tumours lesion lesions edema oedema edge change report skull bone r1 r2 dir dose"
)
# Behind 'T2' they make it T2*.
GRADIENT_ECHO = _bag("gre ffe fl2d flash eg merge grase hemosiderin")
NEUTRAL = _bag(
    "ax axial axiale assiale axiales tra trans transv transversal transverse transversale sag "
    "sagittal sagital sagittale cor coronal koronar coronale frontal obl oblique 2d 3d wi "
    "weighted weighting wichtung gewichtet ponderado ponderada pesata pesate se tse fse frfse "
    "ssfse haste mpr mprs ffe fl fl3d fl2d flash gre memp cube space spc vista view brainview "
    "brain brains head heads kopf hirn gehirn schadel cerveau tete cerebro cerebral craneo "
    "encefalo cranio hersenen neuro blade propeller multivane radial fs fatsat fatsup spir spair "
    "fc nofs iso isotropic stealth navi navigation neuronav nav brainlab medtronic wip sense "
    "asset arc grappa caipi cs clear prescan hypersense hyper ir mt nomt tr te ti et thin thick "
    "slice slices slab vol volume volumes series serie study scan scans image images img session "
    "ses run rep repeat rpt acq rec orig original raw nii nifti dicom dcm mr mri irm rm rmn mrt "
    "hr hires highres high res resolution lowres low fast quick short long routine protocol "
    "proto eq tilt crop cropped moco nd norm normal dis filt filtered unfiltered adapt fil "
    "motion corr corrected correction biascorrected biascorr bc n4 n4itk n4corrected nu restore "
    "restored denoised denoise degibbs bet bet2 hdbet betted stripped strip skullstripped "
    "skullstrip unstripped defaced deface anon anonymized deid synthstrip robex extracted "
    "extraction mm rescaled scaled zscore zscored zscoring standardized standardised whitestripe "
    "matched padded pad reoriented reorient ras lps lpi oriented orient fslreorient final new "
    "old copy kopie version time gz mha nrrd part full whole best first second third one two "
    "initial previous current recent desc std siemens philips ge canon toshiba hitachi skyra "
    "prisma trio avanto verio aera signa achieva ingenia premier ns rst kurz lang dunn schicht "
    "schichten pace trig bh atse dc the is der die das le la les el il nr number id at by from "
    "for"
)
OF_PATIENTS = _bag(
    "baseline bl fu followup follow up timepoint tp visit date site pat patient subject case "
    "exam study"
)
# Of an examination: contrast medium behind them need not be the series' ('BRAIN W GD AX T1').
OF_STUDIES = _bag(
    "mr mri irm mrt rm brain head kopf schadel hirn cerveau crane cerebro craneo encefalo cranio "
    "hersenen neuro study exam examination"
)
# They may change what an image shows; only the user knows.
DOUBTFUL = _bag("dixon mdixon ideal inphase outphase opp opposed water fat bias masked")

SEQUENCE_WORDS = _bag("t1 t2 flair darkfluid")
KNOWN = frozenset().union(
    SEQUENCE_WORDS, T1_BY_METHOD, INVERSION, CONTRAST, NATIVE, NOT, WITH, AND, AFTER, TREATMENT,
    TREATMENT_PHRASES, TIMES, ONTO, REGISTERED, ATLASES, OTHER, GRADIENT_ECHO, NEUTRAL, OF_PATIENTS,
    DOUBTFUL,
)  # fmt: skip
# Words that people glue to others ('AXT1POST'); short ones would be found in any name.
_SHORT = _bag(
    "t1 t2 ax fs gd km ce se fl 2d 3d rt op tx pd ir wi fl3d spc cor sag tra tse fse post pre map"
)
GLUABLE = frozenset(
    word for word in KNOWN if word in _SHORT or (len(word) > 3 and word.isascii())
) | _bag("t1w t2w t1c t1ce mpr spgr gado gad dwi adc tof sub dsc dce swi cbv seg reg bet iso")
